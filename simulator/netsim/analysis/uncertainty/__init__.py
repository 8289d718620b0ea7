"""How sure an answer is: what the constants behind it are known to, and how far published steps were missed."""
