"""Settings of the gateway and of webhooks."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from stream.config.addresses import is_loopback
from stream.config.values import SHORTEST_SECRET, FilePath, Host, Secret, Section, Text


class GatewaySettings(Section):
    """The live page and its API: `sentistream gateway`."""

    host: Host = Field(
        "127.0.0.1", description="Address to listen on. Any other than a loopback address needs gateway.access or gateway.oidc_issuer."
    )
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on. 0: any free port.")
    metrics_port: int = Field(
        0, ge=0, le=65_535, description="Port of /metrics, for Prometheus, on health.host; it asks nobody for a login. 0: no metrics."
    )
    access: FilePath | None = Field(
        None,
        description="YAML file with the hashes of tokens, and with further roles; `sentistream gateway token` makes its entries. It is "
        "read again when it changes. Without it and without gateway.oidc_issuer, everybody on this machine may do everything.",
    )
    oidc_issuer: Text | None = Field(
        None, description="Issuer (`iss`) of the bearer tokens of an identity provider (OpenID Connect). Set it to accept them."
    )
    oidc_audience: Text | None = Field(None, description="Audience (`aud`) that a token must name; needed with gateway.oidc_issuer.")
    oidc_jwks_file: FilePath | None = Field(
        None, description="File with the issuer's public keys (JWKS). It is read again when it changes."
    )
    oidc_jwks_url: Text | None = Field(
        None, pattern=r"^https?://", description="Address of the issuer's public keys (JWKS), if there is no gateway.oidc_jwks_file."
    )
    oidc_roles_claim: Text = Field(
        "roles",
        description="Claim that names the roles; a dot leads into an object: `realm_access.roles`. Unknown names count for nothing.",
    )
    oidc_tenants_claim: Text = Field("tenants", description="Claim that names the tenants; `*` in it means all. Without it: none.")
    secret: Secret | None = Field(
        None,
        description="Text of 32 characters or more that signs session cookies; the same for all gateways behind one address. Default: a "
        "new one at each start, so that a restart ends the sessions of browsers.",
    )
    session_hours: float = Field(12.0, gt=0, le=720, description="Time (h) after which a browser has to log in again.")
    trusted_origins: Text | None = Field(
        None,
        description="Further origins, separated by commas, whose pages may write with a session cookie: https://wall.example.com. Needed "
        "behind a proxy that changes the host name.",
    )
    uploads: bool = Field(False, description="Whether recordings can be sent from the page. `sentistream up` and `demo` switch it on.")
    quiet_after_s: float = Field(
        15.0, ge=1, le=3600, description="A session without a result for this time (s), which has not ended, is shown as quiet."
    )
    requests_per_minute: int = Field(
        1200, ge=10, le=1_000_000, description="Most requests of one user in a minute; above it, requests are refused with 429."
    )
    streams: int = Field(1000, ge=1, le=100_000, description="Most live streams (SSE) at once; above it, a new one is refused with 503.")
    streams_each: int = Field(
        250, ge=1, le=100_000, description="Most live streams of one token or user, so that one of them cannot take all; above it, 429."
    )
    sessions: int = Field(
        2000,
        ge=10,
        le=100_000,
        description="Most sessions in the list of the page. Of more, those without results for the longest time are left out.",
    )

    @model_validator(mode="after")
    def _complete(self) -> GatewaySettings:
        if self.secret is not None and len(self.secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"gateway.secret must have {SHORTEST_SECRET} characters or more")
        if self.oidc_issuer is not None:
            if self.oidc_audience is None:
                raise ValueError("with gateway.oidc_issuer, set gateway.oidc_audience")
            if (self.oidc_jwks_file is None) == (self.oidc_jwks_url is None):
                raise ValueError("with gateway.oidc_issuer, set one of gateway.oidc_jwks_file and gateway.oidc_jwks_url")
        keys = urlsplit(self.oidc_jwks_url or "")
        if keys.scheme == "http" and not is_loopback(keys.hostname or ""):
            raise ValueError("gateway.oidc_jwks_url must be https: whoever can change the keys can make tokens")
        if not is_loopback(self.host) and self.access is None and self.oidc_issuer is None:
            raise ValueError("gateway.host is reachable from other machines: set gateway.access or gateway.oidc_issuer")
        return self


class WebhookSettings(Section):
    """Signed messages to other services about alerts, final windows and ended sessions. Gateways send them."""

    receivers: FilePath | None = Field(
        None, description="YAML file with the receivers, see docs/api.md. It is read again when it changes. Without it nothing is sent."
    )
    private_addresses: bool = Field(
        False,
        description="Whether a receiver may have an address of this machine or of a private network. False refuses them, so that nobody "
        "can make a gateway call services inside the network.",
    )
    timeout_s: float = Field(15.0, gt=0, le=120, description="Longest time (s) to wait for a receiver's answer.")
    retry_hours: float = Field(
        24.0, gt=0, le=168, description="Time (h) for which a message is tried again. After this time it becomes a dead letter."
    )
