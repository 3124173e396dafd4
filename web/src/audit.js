// What the audit says, in the language of whoever reads: only what the controller wrote itself.
import { phrase } from "./i18n/index.js";

/** Their details are the controller's; those of all others are texts of people, and stay as they are. */
const TOLD = new Set(["account.add", "account.change", "account.password", "login", "logout", "login.failed", "policy.rollback", "policy.force", "inventory.force",
    "agent.enroll", "agent.renew", "agent.duplicate", "draft.apply"]);

/** "policy.apply" by its word, where the language has one. */
export function actionOf(entry) {
    const name = `action ${entry.action}`, said = phrase(name);
    return said === name ? entry.action : said;
}

export const objectOf = (entry) => phrase(entry.object);
export const detailOf = (entry) => (TOLD.has(entry.action) ? phrase(entry.detail) : entry.detail);
