"""Sessions over TLS that each say something now and then; prints how many statements were answered."""
import sys
import threading
import time

import psycopg

port, sessions, statements = map(int, sys.argv[1:4])
pause = float(sys.argv[4])
answered = 0
lock = threading.Lock()
ready = threading.Barrier(sessions)


def session(number):
    global answered
    with psycopg.connect(
        f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=require", autocommit=True
    ) as connection:
        assert connection.pgconn.ssl_in_use
        ready.wait()
        # Half of them speak the extended protocol, half the simple one.
        cursor = connection.cursor() if number % 2 else psycopg.ClientCursor(connection)
        for turn in range(statements):
            cursor.execute("SELECT relname FROM pg_class WHERE oid = %s", (turn,))
            cursor.fetchall()
            with lock:
                answered += 1
            time.sleep(pause)


threads = [threading.Thread(target=session, args=(number,)) for number in range(sessions)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(answered)
