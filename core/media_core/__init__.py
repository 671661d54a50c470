"""The pure core: values of the domain and the decisions made on them. No I/O, no clock of its own."""
