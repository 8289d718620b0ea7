"""What a fabric costs: bill of materials, cable lengths, prices and power."""
