"""Steps of paths, each for some flows, as the rows of a CSR table: count, then fill in the order of the steps."""

from netsim.kernels import njit


@njit(cache=True)
def count_rows(ptr, rows):  # type: ignore[no-untyped-def]
    """One more entry, in `ptr` (n_rows + 1,) still a count, for each of `rows`."""
    for row in rows:
        ptr[row + 1] += 1


@njit(cache=True)
def start_rows(ptr):  # type: ignore[no-untyped-def]
    """Counts to pointers, in place; returns where each row is to be filled, which is its start."""
    for row in range(1, ptr.size):
        ptr[row] += ptr[row - 1]
    return ptr[:-1].copy()


@njit(cache=True)
def fill_rows(end, rows, links, latency_s, row_links, row_latency_s):  # type: ignore[no-untyped-def]
    """Append a step to its rows: a link of each, and its latency."""
    for i in range(rows.size):
        row_links[end[rows[i]]] = links[i]
        end[rows[i]] += 1
        row_latency_s[rows[i]] += latency_s


@njit(cache=True)
def fill_shared_rows(end, rows, links, share, latency_s, row_links, row_share, row_latency_s):  # type: ignore[no-untyped-def]
    """The same with a share of each link, which counts for the latency too."""
    for i in range(rows.size):
        row_share[end[rows[i]]] = share[i]
        row_latency_s[rows[i]] += share[i] * latency_s
        row_links[end[rows[i]]] = links[i]
        end[rows[i]] += 1
