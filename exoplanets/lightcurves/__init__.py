"""What is done to light curves before they are classified: equalising, probing, splitting."""
