"""One run of the suite against one server: options, first contact, selected clauses, group time, scheduling delay."""
