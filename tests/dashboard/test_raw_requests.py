"""The live page outlasts clients that speak no HTTP, or half of it."""

from dashboard.served import serving
from raw_requests import check_outlasting


def test_a_client_that_speaks_no_http_ends_nothing(tmp_path):
    with serving(tmp_path) as url:
        check_outlasting(url)
