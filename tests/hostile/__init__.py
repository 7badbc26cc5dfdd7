"""The suite against servers that send too much, too slowly, or nonsense: its words, its time, its memory."""
