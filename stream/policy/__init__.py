"""What may be used of whom: modalities by tenant and role, consent, language; pure code."""
