"""The rows that users give: what they are, what they are called, how they are kept."""
