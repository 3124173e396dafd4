// Roles and scopes, as accounts and tokens have them.

export const ROLES = ["viewer", "auditor", "operator", "editor", "approver", "admin"];

/** {site: "tokyo"} ↔ "site=tokyo" */
export const scopeText = (scope) => Object.entries(scope ?? {}).map(([k, v]) => `${k}=${v}`).join(" ");
export function scopeOf(text) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(text.trim()) ?? [];
    return name ? { [name]: value } : {};
}
