"""Models, repositories and the unit of work: the only home of SQLAlchemy."""
