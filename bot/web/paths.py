"""The addresses we answer at, for the routes and for whoever tells them to others."""

GITLAB_WEBHOOK = "/webhooks/gitlab"
