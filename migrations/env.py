"""Alembic's environment: the database of the settings, the models' metadata."""

from alembic import context
from sqlalchemy import create_engine

from mynah.db.models import Base
from mynah.settings import load_settings

MIGRATION_LOCK = 727_101  # one migration at a time, however many gateways start together


def run_migrations() -> None:
    """Upgrade inside one transaction, holding an advisory lock."""
    engine = create_engine(load_settings().database_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run_migrations()
