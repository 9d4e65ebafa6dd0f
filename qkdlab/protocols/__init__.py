"""What is prepared, what is sifted, what is counted."""
