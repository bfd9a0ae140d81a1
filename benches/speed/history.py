"""Years of use, as rows: runs that have ended, and the events of eight weeks."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from database import Database, PostgresDatabase, SqliteDatabase

# As the server partitions events.
WEEK = 7 * 24 * 3600
WEEKS = 8
EVENT = ("at, kind, actor, request_id, run, run_id, subject, audience, jti, kid, expires_at")


@dataclass(frozen=True)
class Words:
    """What the two databases say differently."""

    # The numbers from 1 to {count}, as a table `i (i)`.
    series: str
    # 64 random hexadecimal digits; a random UUID.
    digits: str
    uuid: str
    # {ms} as twelve hexadecimal digits; {number} as eight.
    twelve: str
    eight: str


ON_POSTGRES = Words(
    series="generate_series(1::BIGINT, {count}) AS i (i)",
    digits="encode(sha256(gen_random_uuid()::text::bytea), 'hex')",
    uuid="gen_random_uuid()::text",
    twelve="lpad(to_hex(({ms})::bigint), 12, '0')",
    eight="lpad(to_hex(({number})::bigint), 8, '0')",
)
ON_SQLITE = Words(
    series="(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
    "SELECT i FROM n) AS i",
    digits="lower(hex(randomblob(32)))",
    uuid="lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
    "substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || "
    "hex(randomblob(6)))",
    twelve="printf('%012x', {ms})",
    eight="printf('%08x', {number})",
)


def words_of(database: Database) -> Words:
    return ON_POSTGRES if database.is_postgres else ON_SQLITE


def add(database: Database, runs: int, events: int, tell: Callable[[str], None]) -> None:
    """A fifth of the events are of this week: the partition that is written to is the largest."""
    now = int(time.time())
    tell(f"  filling {runs:,} runs")
    database.run(past_runs(words_of(database), runs, now))
    this_week = now // WEEK * WEEK
    recent = events // 5
    of_a_week = (events - recent) // (WEEKS - 1)
    weeks = [(this_week - back * WEEK, this_week - (back - 1) * WEEK, of_a_week)
             for back in range(WEEKS - 1, 0, -1)]
    tell(f"  filling {events:,} events, {recent:,} of them of this week")
    spread = [Spread(*week, runs) for week in [*weeks, (this_week, now, recent)]]
    if isinstance(database, PostgresDatabase):
        fill_postgres(database, spread)
        database.settle()
    else:
        fill_sqlite(database, spread)


@dataclass(frozen=True)
class Spread:
    """So many events from one time to another, of so many runs."""

    start: int
    end: int
    count: int
    runs: int

    def insert(self, table: str, words: Words) -> str:
        """Nine of ten are tokens, by the key that signs now."""
        at = f"({self.start} + i * {self.end - self.start} / {self.count + 1})"
        kind = ("CASE i % 20 WHEN 0 THEN 'run.opened' WHEN 1 THEN 'run.closed' "
                "ELSE 'token.minted' END")
        token = "i % 20 > 1"
        # The golden ratio scatters the runs; each has ten events.
        run = scattered(words, f"(i + {self.start}) % {self.runs} + 1")
        return f"""INSERT INTO {table} ({EVENT})
            SELECT {at}, {kind}, 'run:' || {words.uuid}, {words.uuid}, {words.uuid}, {run},
            'organization:acme:project:Default Project:workspace:network-00042:run_phase:plan',
            CASE WHEN {token} THEN 'aws.workload.identity' END,
            CASE WHEN {token} THEN {words.uuid} END,
            CASE WHEN {token} THEN (SELECT kid FROM key_version WHERE state = 'active') END,
            {at} + 7200 FROM {words.series.format(count=self.count)}"""


def scattered(words: Words, number: str) -> str:
    """A run's `terraform_run_id`, by its number."""
    return "'run-' || " + words.eight.format(number=f"(({number}) * 2654435761) % 4294967296")


def past_runs(words: Words, count: int, now: int) -> str:
    """Opened over eight weeks, two hours long, each closed but for every tenth, which expired."""
    start = now - WEEKS * WEEK
    at = f"({start} + i * {now - start - 7200} / {count + 1})"
    identity = words.twelve.format(ms=f"{at} * 1000")
    random = f"substr({words.uuid}, 16)"
    like = "client, subject, organization_id, project_id, target_id, audiences, aws_session_tags"
    return f"""INSERT INTO run (id, token_hash, run_id, opened_at, expires_at, closed_at, {like})
        SELECT substr({identity}, 1, 8) || '-' || substr({identity}, 9, 4) || '-7' || {random},
        {words.digits}, {scattered(words, 'i')}, {at}, {at} + 7200,
        CASE WHEN i % 10 > 0 THEN {at} + 600 END, {like}
        FROM {words.series.format(count=count)}
        CROSS JOIN (SELECT {like} FROM run ORDER BY id LIMIT 1) AS known"""


def fill_postgres(database: PostgresDatabase, spread: list[Spread]) -> None:
    """Past weeks get their partitions as the server made them when they came."""
    for week in spread[:-1]:
        name = f"event_w{week.start}"
        database.run(
            f"CREATE TABLE {name} (LIKE event INCLUDING DEFAULTS)",
            week.insert(name, ON_POSTGRES),
            f"ALTER TABLE event ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({week.start}) TO ({week.end})",
        )
    database.run(spread[-1].insert("event", ON_POSTGRES))


def fill_sqlite(database: SqliteDatabase, spread: list[Spread]) -> None:
    """The indexes are built afterwards, which is sooner done."""
    indexes = database.run("SELECT name, sql FROM sqlite_master "
                           "WHERE type = 'index' AND tbl_name = 'event' AND sql IS NOT NULL")
    database.run(*(f"DROP INDEX {name}" for name, _ in indexes))
    for week in spread:
        database.run(week.insert("event", ON_SQLITE))
    database.run(*(text for _, text in indexes))
