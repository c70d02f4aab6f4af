/** What is to be said about the page's address. */

import { addressNotice } from "./address";
import "./notice.css";

export function AddressNotice() {
  if (addressNotice.value === null) return null;
  return (
    <div class="address-notice" role="alert">
      <p>{addressNotice.value}</p>
      <button
        type="button"
        onClick={() => {
          addressNotice.value = null;
        }}
      >
        Dismiss
      </button>
    </div>
  );
}
