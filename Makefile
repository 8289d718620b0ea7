PYTHON ?= python3
VENV ?= .venv

.PHONY: test lint types check docs wheel clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet -e '.[dev]'
	touch $@

test: $(VENV)/.installed  ## install what the tests need, then run them
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

types: $(VENV)/.installed
	$(VENV)/bin/mypy
	for study in reports/studies/*/run.py; do $(VENV)/bin/mypy $$study || exit 1; done

check: lint types test

docs: $(VENV)/.installed  ## the site, in site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

wheel: $(VENV)/.installed
	$(VENV)/bin/python -m build --wheel

clean:
	rm -rf $(VENV) dist build site
