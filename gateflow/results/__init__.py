"""What results have in common: equality by value."""
