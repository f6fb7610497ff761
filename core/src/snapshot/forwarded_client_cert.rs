//! What the application is told of the certificate of its client: `x-forwarded-client-cert`, in the modes of Envoy.

/// What becomes of the field (Envoy `forward_client_cert_details`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardMode {
    /// It is taken away.
    Sanitize,
    /// What the client sent is left, if it has shown a certificate.
    ForwardOnly,
    /// What the client sent is left, and what its certificate says is added, if it has shown one. Istio's default for
    /// sidecars.
    #[default]
    AppendForward,
    /// What its certificate says takes the place of what the client sent, if it has shown one.
    SanitizeSet,
    /// What the client sent is left, whoever it is.
    AlwaysForwardOnly,
}

/// What is told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedClientCert {
    /// See [`ForwardMode`].
    pub mode: ForwardMode,
    /// `Subject="…"`, also where it is empty.
    pub subject: bool,
    /// `URI=…` for each, and once without a value where there is none.
    pub uri: bool,
    /// `DNS=…` for each.
    pub dns: bool,
}

/// What Istio sets for sidecars.
impl Default for ForwardedClientCert {
    fn default() -> Self {
        Self {
            mode: ForwardMode::AppendForward,
            subject: true,
            uri: true,
            dns: true,
        }
    }
}
