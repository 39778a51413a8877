"""A process of the campaign that takes locks over the SQL API, with psycopg 3, and writes down what it did and was told.

    worker.py '{"name": ..., "seed": ..., "logFile": ..., "url": ..., "presence": "on", "statementTimeoutMs": ..., "keys": {...}}'

The entries are those of ../log.ts. It ends after a line "finish" on its standard input, or when that ends.
"""

import json
import os
import random
import socket
import sys
import threading
import time
import traceback

import psycopg
from psycopg.types.string import TextLoader


def now():
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000


class Log:
    """One JSON line an entry, written at once."""

    def __init__(self, path, name):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.name = name
        self.calls = 0

    def write(self, e, t=None, **fields):
        entry = {"p": self.name, "t": now() if t is None else t, "e": e, **fields}
        os.write(self.file, (json.dumps(entry) + "\n").encode())

    def call(self, call, run, read=None, **fields):
        """What `run` returns; None after an error. `read` says how the call has ended."""
        self.calls += 1
        number = self.calls
        self.write("call", id=number, call=call, **fields)
        try:
            value = run()
        except psycopg.Error as error:
            message = str(error).strip()[:300]
            code = error.sqlstate or type(error).__name__
            self.write("settled", id=number, outcome="error", code=code, message=message)
            return None
        ended = {"outcome": "done"} if read is None else read(value)
        self.write("settled", id=number, **ended)
        return value


class Connection:
    """One connection, which is made again when it was lost. A call on it that takes too long is given up."""

    def __init__(self, args, log):
        self.args = args
        self.log = log
        self.connection = None
        self.session = None
        self.deadline = None
        threading.Thread(target=self._watch, daemon=True).start()

    def open(self):
        """Whether it is open."""
        if self.connection is not None and not self.connection.closed:
            return True
        try:
            self.close()
            self.connection = psycopg.connect(self.args["url"], autocommit=True, connect_timeout=2)
            self.connection.prepare_threshold = None
            # it cannot read times in every DateStyle, and needs none
            self.connection.adapters.register_loader("timestamptz", TextLoader)
            self.run("select set_config('statement_timeout', %s, false)", (str(self.args["statementTimeoutMs"]),))
            if self.args["presence"] == "on":
                ((self.session,),) = self.run("select leasehold.attach(%s)", (self.args["name"],))
            return True
        except psycopg.Error:
            self.close()
            return False

    def run(self, text, parameters=()):
        with self.limit():
            cursor = self.connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def limit(self):
        return _Limit(self, self.args["statementTimeoutMs"] / 1000 + 1)

    def close(self):
        self.session = None
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _watch(self):
        """The client has no limit of its own for a server that says nothing."""
        while True:
            time.sleep(0.05)
            deadline, connection = self.deadline, self.connection
            if deadline is None or connection is None or time.monotonic() < deadline:
                continue
            self.deadline = None
            try:
                with socket.socket(fileno=os.dup(connection.fileno())) as its:
                    its.shutdown(socket.SHUT_RDWR)
            except (OSError, psycopg.Error):
                pass  # it is gone already


class _Limit:
    def __init__(self, connection, seconds):
        self.connection = connection
        self.seconds = seconds

    def __enter__(self):
        self.outer = self.connection.deadline
        if self.outer is None:
            self.connection.deadline = time.monotonic() + self.seconds

    def __exit__(self, *error):
        if self.outer is None:
            self.connection.deadline = None


class Lock:
    """A grant. Without a session it is held until its TTL, whatever becomes of the connection."""

    def __init__(self, worker, number, terms, key, token, fence, ttl_ms, asked_at):
        self.worker = worker
        self.name = str(number)
        self.key = key
        self.token = str(token)
        self.fence = fence
        self.ttl_ms = ttl_ms
        self.until = asked_at + ttl_ms * 1000
        self.grant = {"lock": self.name, "key": key, "fence": str(fence), "token": self.token, "ttlMs": ttl_ms, **terms}
        self.is_tied = worker.connection.session is not None
        self.ended_at = None

    def sample(self):
        if self.is_tied:
            return
        t = now()
        held = self.ended_at is None and t < self.until
        self.worker.log.write("belief", t=t, lock=self.name, held=held, asserts=held, until=now())


class Worker:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args["seed"])
        self.log = Log(args["logFile"], args["name"])
        self.connection = Connection(args, self.log)
        self.finishing = threading.Event()
        self.locks = 0
        self.ended = []
        self.bound_ms = args["statementTimeoutMs"] + 1000

    def run(self):
        is_attached = self.args["presence"] == "on"
        self.log.write(
            "hello",
            client="python",
            pid=os.getpid(),
            # that of leasehold.attach
            takeoverDelayMs=5000 if is_attached else 0,
            requestTimeoutMs=self.args["statementTimeoutMs"],
            presence=is_attached,
            application=self.args["name"],
        )
        threading.Thread(target=self.listen, daemon=True).start()
        while not self.finishing.is_set():
            self.log.write("clock", wall=time.time_ns() // 1000)
            if self.connection.open():
                acts = (self.hold, self.hold, self.write, self.write, self.share, self.come_back, self.beat)
                self.random.choice(acts)()
            self.finishing.wait(self.random.uniform(0.001, 0.03))
        self.connection.close()
        self.log.write("bye", open=[])

    def listen(self):
        for line in sys.stdin:
            if line.strip() == "finish":
                break
        self.finishing.set()

    # ------------------------------------------------------------------------------------------------ the acts

    def hold(self):
        keys = self.args["keys"]
        lock = self.acquire(self.random.choice(keys["exclusive"] + keys["waits"]))
        if lock is None:
            return
        self.keep(lock)
        if self.random.random() < 0.5:
            self.renew(lock)
            self.keep(lock)
        self.release(lock)

    def write(self):
        lock = self.acquire(self.random.choice(self.args["keys"]["accounts"]))
        if lock is None:
            return
        if self.random.random() < 0.1:
            time.sleep(lock.ttl_ms / 1000 + 0.1)  # too late
        else:
            self.keep(lock)
        self.log.call(
            "transaction",
            lambda: self.write_guarded(lock),
            keys=[lock.key],
            lock=lock.name,
            by="SQL",
            boundMs=self.bound_ms,
        )
        self.release(lock)

    def write_guarded(self, lock):
        with self.connection.limit(), self.connection.connection.transaction():
            run = self.connection.run
            run("select leasehold.guard(%s, %s)", (lock.key, lock.fence))
            ((was,),) = run("select value from campaign.accounts where key = %s", (lock.key,))
            time.sleep(self.random.uniform(0, 0.02))
            value = was + self.random.randint(-20, 20)
            run(
                "insert into campaign.writes (key, fence, is_share, was, value, worker) values (%s, %s, false, %s, %s, %s)",
                (lock.key, lock.fence, was, value, self.args["name"]),
            )
            run("update campaign.accounts set value = %s where key = %s", (value, lock.key))

    def share(self):
        keys = self.args["keys"]
        if self.random.random() < 0.5 or not keys["semaphore"]:
            lock = self.acquire(self.random.choice(keys["shared"]), {"mode": "shared", "weight": 1})
        else:
            one = self.random.choice(keys["semaphore"])
            weight = self.random.randint(1, one["capacity"])
            terms = {"mode": "semaphore", "weight": weight, "capacity": one["capacity"]}
            lock = self.acquire(one["key"], terms)
        if lock is None:
            return
        self.keep(lock)
        self.release(lock)

    def come_back(self):
        """To what was released or expired long ago."""
        stale = [lock for lock in self.ended if lock.ended_at + (2 * lock.ttl_ms + 500) * 1000 < now()]
        if not stale:
            return
        lock = self.random.choice(stale)
        self.ended.remove(lock)
        asked = {"keys": [lock.key], "isStale": True, "by": "SQL", "boundMs": self.bound_ms}
        how = self.random.randrange(3)
        if how == 0:
            self.log.call(
                "renew", lambda: self.connection.run("select leasehold.renew(%s, %s)", (lock.key, lock.token)), **asked
            )
        elif how == 1:
            self.ask_to_release(lock, asked)
        else:

            def guard():
                with self.connection.connection.transaction():
                    self.connection.run("select leasehold.guard(%s, %s)", (lock.key, lock.fence))

            self.log.call("transaction", guard, **asked)

    def beat(self):
        if self.connection.session is None:
            return
        session = self.connection.session
        self.log.call(
            "sql", lambda: self.connection.run("select leasehold.attach(session => %s)", (session,)), keys=[], boundMs=self.bound_ms
        )

    # ------------------------------------------------------------------------------------------------ one lock

    def acquire(self, key, terms=None):
        terms = terms or {"mode": "exclusive"}
        ttl_ms = self.random.randint(500, 3000)
        options = {
            "ttl": f"{ttl_ms} ms",
            "owner": self.args["name"],
            "session": self.connection.session,
            "shared": terms["mode"] == "shared",
            "capacity": terms.get("capacity"),
            "weight": terms["weight"] if terms["mode"] == "semaphore" else None,
        }
        named = "ttl => %(ttl)s, owner => %(owner)s, session => %(session)s, shared => %(shared)s, capacity => %(capacity)s, weight => %(weight)s"
        wait_ms = self.random.randint(0, 1000)
        is_try = self.random.random() < 0.5
        text = (
            f"select token, fence from leasehold.try_acquire(%(key)s, {named}) where acquired"
            if is_try
            else f"call leasehold.acquire(%(key)s, wait => %(wait)s, {named})"
        )
        parameters = {"key": key, **options, **({} if is_try else {"wait": f"{wait_ms} ms"})}
        asked_at = now()
        granted = []

        def read(rows):
            if not rows:
                return {"outcome": "nothing"}
            self.locks += 1
            token, fence = rows[0][:2]
            granted.append(Lock(self, self.locks, terms, key, token, fence, ttl_ms, asked_at))
            return {"outcome": "done", "grants": [granted[0].grant]}

        self.log.call(
            "tryAcquire" if is_try else "acquire",
            lambda: self.connection.run(text, parameters),
            read,
            keys=[key],
            terms=terms,
            ttlMs=ttl_ms,
            keepAlive=False,
            by="SQL",
            boundMs=self.bound_ms,
            **({} if is_try else {"waitMs": wait_ms}),
        )
        return granted[0] if granted else None

    def keep(self, lock):
        for _ in range(self.random.randrange(8)):
            lock.sample()
            time.sleep(self.random.uniform(0, 0.03))
        lock.sample()

    def renew(self, lock):
        asked_at = now()
        renewed = self.log.call(
            "renew",
            lambda: self.connection.run("select leasehold.renew(%s, %s)", (lock.key, lock.token)),
            keys=[lock.key],
            lock=lock.name,
            by="SQL",
            boundMs=self.bound_ms,
        )
        if renewed is not None:
            lock.until = max(lock.until, asked_at + lock.ttl_ms * 1000)

    def release(self, lock):
        # from here on it is not believed, whatever the answer is
        lock.ended_at = now()
        self.ask_to_release(lock, {"keys": [lock.key], "lock": lock.name, "by": "SQL", "boundMs": self.bound_ms})
        self.ended = (self.ended + [lock])[-50:]

    def ask_to_release(self, lock, asked):
        self.log.call(
            "release",
            lambda: self.connection.run("select leasehold.release(%s, %s)", (lock.key, lock.token)),
            lambda rows: {"outcome": "done" if rows[0][0] else "nothing"},
            **asked,
        )


def main():
    worker = Worker(json.loads(sys.argv[1]))
    try:
        worker.run()
    except BaseException:
        worker.log.write("uncaught", text=traceback.format_exc())
        raise


if __name__ == "__main__":
    main()
