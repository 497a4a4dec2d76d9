"""Records, ledger, statistics, tables and reports; needs neither Ray nor torch."""
