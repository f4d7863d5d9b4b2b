"""`optmap docs`: a page for each pair of classes, made from the tables, from runs, and from code that was run."""
