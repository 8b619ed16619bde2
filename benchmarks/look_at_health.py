"""Prints how long GET /health of a server takes, in seconds, every 20 ms until it is ended.

python benchmarks/look_at_health.py HOST PORT

A process of its own, which loads nothing but the standard library, so that no wait of another program's loop is taken
for the server's.
"""

import http.client
import sys
import time


def main(host: str, port: str) -> None:
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    while True:
        began = time.perf_counter()
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        print(time.perf_counter() - began, flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
