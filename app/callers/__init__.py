"""Who may do what: tokens, their roles and limits, and the tokens of an OpenID Connect provider."""
