"""Model and hardware designed together: what each choice of DeepSeek-V3 is worth, and its published claims checked."""
