"""The sensors, one back end per module, and the table that selects them."""
