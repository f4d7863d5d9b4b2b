"""The mapping tables: what every framework's optimizer constructors take, and what follows from that for a pair."""
