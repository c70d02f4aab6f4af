"""Pages of other origins cannot change anything through a user's browser."""

import pytest
from starlette.testclient import TestClient
from zoo_server import problem

from app.http.fetch_metadata import check_fetch_site

TEXT = {"Content-Type": "text/plain"}
SPEC = '{"architecture": "lenet"}'


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_posts_nothing(client: TestClient, site: str) -> None:
    response = client.post("/v1/builds", content=SPEC, headers={**TEXT, "Sec-Fetch-Site": site})
    assert problem(response) == {
        "type": "/docs#problem-cross-site",
        "title": "A page of another origin may not do this",
        "status": 403,
        "detail": f"A page of another origin sent this POST (Sec-Fetch-Site: {site}); only pages "
        "of this service may.",
        "received": site,
        "errors": [],
    }
    assert client.get("/v1/builds").json()["builds"] == []


def test_the_protocols_refuse_in_their_own_form(client: TestClient) -> None:
    response = client.post("/v2/models/m/infer", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert response.json()["error"].startswith("A page of another origin sent this POST ")


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}])
def test_programs_and_own_pages_post(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/builds", content=SPEC, headers={**TEXT, **headers})
    assert response.status_code == 201


def test_links_from_other_sites_open(client: TestClient) -> None:
    for method in ("GET", "HEAD"):
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert client.request(method, "/v1/builds", headers=headers).status_code == 200


def test_what_a_user_does_himself_is_of_no_site() -> None:
    check_fetch_site("POST", "none")
