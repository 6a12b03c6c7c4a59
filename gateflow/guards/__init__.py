"""What users give is checked in one place; what knows no bounds of its own is bounded in time and memory."""
