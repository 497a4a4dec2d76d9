"""Tables beside the main one, as rows that every renderer can show."""
