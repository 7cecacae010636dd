"""What the Triton kernels of several operators share. Importing any of it imports Triton."""
