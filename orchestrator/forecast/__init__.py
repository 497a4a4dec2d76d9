"""What a study will cost and can show: time, power, and a cluster that is not there."""
