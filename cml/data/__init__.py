"""From files to a data set: read, check, merge, describe and split interactions; read item tables."""
