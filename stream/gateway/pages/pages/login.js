// Signing in with a token.
import { html, useState } from "../html.js";
import { navigate } from "../router.js";
import { signIn } from "../store.js";

function Login({ next = "/" }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const token = new FormData(event.target).get("token").trim();
    setBusy(true);
    setProblem(null);
    try {
      await signIn(token);
      navigate(next === "/login" ? "/" : next, { replace: true });
    } catch (error) {
      setProblem(error.status === 401 ? "The gateway does not know this token. Check it, or ask whoever runs the gateway for a new one." : error.message);
    } finally {
      setBusy(false);
    }
  };
  return html`<div class="page narrow"><form class="card login" onSubmit=${submit}>
    <h1>Sign in</h1>
    <label for="token">Your token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required autofocus
      aria-invalid=${problem ? "true" : undefined} aria-describedby=${problem ? "login-problem" : undefined} />
    ${problem && html`<p id="login-problem" class="problem" role="alert">${problem}</p>`}
    <button class="primary" type="submit" disabled=${busy}>${busy ? "Signing in" : "Sign in"}</button>
    <p class="small">Whoever runs the gateway makes tokens. The page keeps it in a cookie that scripts cannot read.</p>
  </form></div>`;
}

export default { title: "Sign in", path: "/login", component: Login, shortcuts: [] };
