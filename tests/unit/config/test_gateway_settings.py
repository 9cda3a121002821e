"""Settings of the gateway that do not fit together are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stream.config.gateway_settings import GatewaySettings

ISSUER = {"oidc_issuer": "https://id.example"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "0.0.0.0"}, "set gateway.access or gateway.oidc_issuer"),
        ({"host": "wall.example.com"}, "set gateway.access or gateway.oidc_issuer"),
        (ISSUER, "set gateway.oidc_audience"),
        (ISSUER | {"oidc_audience": "us"}, "set one of gateway.oidc_jwks_file"),
        (ISSUER | {"oidc_audience": "us", "oidc_jwks_file": "a", "oidc_jwks_url": "https://b"}, "set one of gateway.oidc_jwks_file"),
        ({"oidc_jwks_url": "http://id.example/keys"}, "must be https"),
        ({"secret": "short"}, "must have 32 characters"),
    ],
)
def test_what_does_not_fit_is_said(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GatewaySettings.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "0.0.0.0", "access": "access.yaml"},
        ISSUER | {"host": "0.0.0.0", "oidc_audience": "us", "oidc_jwks_url": "https://id.example/keys"},
        ISSUER | {"oidc_audience": "us", "oidc_jwks_url": "http://127.0.0.1:9000/keys"},
        {"secret": "s" * 32},
    ],
)
def test_what_fits_is_taken(given: dict[str, str]) -> None:
    GatewaySettings.model_validate(given)
