"""The pages of an ablation and of the claims."""
