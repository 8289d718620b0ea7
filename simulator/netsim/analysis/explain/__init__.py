"""What a step consists of and what it waits for, from one execution: nothing here simulates the step again."""
