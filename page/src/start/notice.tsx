/** What is to be said about the page's address. */

import { addressNotice } from "./address";
import "./notice.css";

export function AddressNotice() {
  return (
    <div class="address-notice" role="alert">
      {addressNotice.value !== null && (
        <>
          <p>{addressNotice.value}</p>
          <button
            type="button"
            onClick={() => {
              addressNotice.value = null;
            }}
          >
            Dismiss
          </button>
        </>
      )}
    </div>
  );
}
