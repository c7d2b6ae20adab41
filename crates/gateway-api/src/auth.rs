//! Who may do what: bearer tokens with a role.
//!
//! A token is compared by its SHA-256 in constant time and against every known token, so that the time of an answer tells nothing of how
//! close a guess was. What a role may do stands in one table, [`Role::may`]; routes are grouped by the right that they need, see
//! [`crate::admin_router`].

use crate::{Code, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator: everything.
    Admin,
    /// The bureau's handling desk: reads orders, sends commands.
    Desk,
    /// The judge: reads everything, person fields too.
    Judge,
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Orders without person fields, and what became of commands.
    ReadOrders,
    /// Person fields, and what no profile names.
    ReadPersons,
    /// Commands.
    SendCommands,
    /// Books, gaps, dead letters without bytes, status.
    ReadBooks,
    /// Records' bytes.
    ReadBytes,
    /// Repair, retry, waive.
    Operate,
}

impl Role {
    /// The name in files, logs and command identities.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Desk => "desk",
            Role::Judge => "judge",
        }
    }

    pub(crate) fn may(self, right: Right) -> bool {
        match self {
            Role::Admin => true,
            Role::Desk => matches!(right, Right::ReadOrders | Right::SendCommands),
            Role::Judge => matches!(right, Right::ReadOrders | Right::ReadPersons | Right::ReadBooks),
        }
    }
}

/// A token's text with its role, as the server read it from its file.
#[derive(Clone)]
pub struct Token {
    /// The role.
    pub role: Role,
    /// The text.
    pub text: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("role", &self.role).finish_non_exhaustive()
    }
}

/// A token that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token of role {role} is shorter than {least} characters or has other than printable ASCII characters")]
pub struct TokenError {
    role: &'static str,
    least: usize,
}

const SHORTEST: usize = 24;

/// The known tokens; holds digests only.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<[([u8; 32], Role)]>);

impl Tokens {
    /// Takes tokens.
    ///
    /// # Errors
    /// [`TokenError`] for one that could be guessed or not be sent in a header.
    pub fn new(tokens: impl IntoIterator<Item = Token>) -> Result<Self, TokenError> {
        let digest = |token: Token| {
            if token.text.len() < SHORTEST || !token.text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(TokenError { role: token.role.as_str(), least: SHORTEST });
            }
            Ok((Sha256::digest(token.text.as_bytes()).into(), token.role))
        };
        Ok(Self(tokens.into_iter().map(digest).collect::<Result<_, _>>()?))
    }

    fn role_of(&self, text: &str) -> Option<Role> {
        let offered: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut found = 0u32;
        for (at, (known, _)) in (1u32..).zip(self.0.iter()) {
            let same: Choice = known.as_slice().ct_eq(offered.as_slice());
            found.conditional_assign(&at, same);
        }
        let at = usize::try_from(found).ok()?.checked_sub(1)?;
        self.0.get(at).map(|(_, role)| *role)
    }
}

/// Who asks, once the token was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) Role);

impl Caller {
    pub(crate) fn must(self, right: Right) -> Result<(), Problem> {
        if self.0.may(right) {
            return Ok(());
        }
        Err(Problem::new(Code::RoleNotAllowed, format!("the role {} may not do that", self.0.as_str())))
    }
}

/// The gate before a group of routes.
pub(crate) async fn gate(
    State((tokens, right)): State<(Tokens, Right)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let role = bearer(request.headers()).and_then(|text| tokens.role_of(text));
    let Some(role) = role else {
        return Err(Problem::new(
            Code::Unauthenticated,
            "send `Authorization: Bearer <token>` with a token that the gateway knows",
        ));
    };
    let caller = Caller(role);
    caller.must(right)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(role: Role, text: &str) -> Token {
        Token { role, text: text.to_owned() }
    }

    #[test]
    fn a_token_has_its_role_and_no_other_text_has_any() {
        let tokens = Tokens::new([
            token(Role::Admin, "admin-0123456789-0123456789"),
            token(Role::Judge, "judge-0123456789-0123456789"),
        ])
        .unwrap();
        assert_eq!(tokens.role_of("admin-0123456789-0123456789"), Some(Role::Admin));
        assert_eq!(tokens.role_of("judge-0123456789-0123456789"), Some(Role::Judge));
        for text in ["", "admin", "admin-0123456789-0123456788"] {
            assert_eq!(tokens.role_of(text), None);
        }
    }

    #[test]
    fn a_guessable_token_is_refused() {
        for text in ["", "short", "with a blank 0123456789 0123456789", "末班车末班车末班车末班车"] {
            assert!(Tokens::new([token(Role::Desk, text)]).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_admin_sees_bytes() {
        assert!(Role::Admin.may(Right::ReadBytes));
        assert!(!Role::Judge.may(Right::ReadBytes) && !Role::Desk.may(Right::ReadPersons));
    }
}
