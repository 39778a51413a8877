"""A Leasehold lock in Python, over psycopg 3: waits for the lock, writes under its guard, and gives it back.

    DATABASE_URL=postgres://app@db.example/app python3 locked_counter.py visits 10

counts the row "visits" of the table counters (name text, value integer) up by ten, reading and writing it as any number of
other processes do, without losing one. When this process dies, its lock is free a few seconds later.
"""

import contextlib
import os
import sys

import psycopg


@contextlib.contextmanager
def locked(connection, session, key, ttl="1 min", wait="30 s"):
    """Holds the lock, and gives its fence for leasehold.guard. The connection must be in autocommit mode, the session attached on it."""
    try:
        token, fence, _ = connection.execute(
            "call leasehold.acquire(%s, wait => %s, ttl => %s, session => %s)", (key, wait, ttl, session)
        ).fetchone()
    except psycopg.Error as error:
        if error.sqlstate != "LH009":
            raise
        raise TimeoutError(f"{key} was not free within {wait}: {error.diag.message_detail}") from error
    try:
        yield fence
    finally:
        connection.execute("select leasehold.release(%s, %s)", (key, token))


def main(name, times):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        (session,) = connection.execute("select leasehold.attach(%s)", (f"{sys.argv[0]}:{os.getpid()}",)).fetchone()
        for _ in range(times):
            with locked(connection, session, f"counter:{name}") as fence, connection.transaction():
                connection.execute("select leasehold.guard(%s, %s)", (f"counter:{name}", fence))
                (value,) = connection.execute("select value from counters where name = %s", (name,)).fetchone()
                connection.execute("update counters set value = %s where name = %s", (value + 1, name))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
