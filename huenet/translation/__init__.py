"""Unpaired translation between two folders: GAN, CycleGAN, GcGAN, and any mix of their terms with structure, harmonic, contextual
and mutual information losses."""
