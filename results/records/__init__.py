"""What is known of trials and of their study, and which records count."""
