/** Asks for the token that the service needs, and lets the reader take it back. */

import { useEffect, useRef } from "preact/hooks";
import { asking, forgetToken, giveToken, isMissing, token, wantToken } from "../api/token";
import "./access.css";

/** The question, while a request waits for a token. */
export function TokenDialog() {
  return asking.value === null ? null : <OpenDialog isRefused={asking.value === "refused"} />;
}

function OpenDialog({ isRefused }: { isRefused: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    field.current?.focus();
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (field.current?.value.trim()) giveToken(field.current.value);
  };
  return (
    <dialog
      ref={dialog}
      class="token-dialog"
      aria-labelledby="token-title"
      onClose={() => {
        if (asking.peek() !== null) giveToken(null);
      }}
    >
      <form onSubmit={submit}>
        <h2 id="token-title">This service needs a token</h2>
        <p role={isRefused ? "alert" : undefined}>
          {isRefused
            ? "It refused the token that was sent: it is unknown, revoked or expired."
            : "Ask whoever runs it: model-zoo token add makes one."}
        </p>
        <label>
          Token
          <input ref={field} type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <p class="token-hint">
          It is kept for this tab alone, until you close it or forget the token.
        </p>
        <div class="token-actions">
          <button type="submit" class="primary">
            Use the token
          </button>
          <button type="button" onClick={() => giveToken(null)}>
            Go on without
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** The button of the bar: takes the token back, or asks again for one that was not given. */
export function TokenButton() {
  if (token.value !== null) {
    return (
      <button type="button" onClick={forgetToken} title="Send no token any more">
        Forget the token
      </button>
    );
  }
  if (!isMissing.value) return null;
  return (
    <button type="button" onClick={wantToken}>
      Enter a token
    </button>
  );
}
