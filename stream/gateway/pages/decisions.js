// What can be decided, in the words of the statement of reasons of the DSA transparency database.

/** The nine choices, by their keys. */
export const CHOICES = [
  { key: "1", name: "No action", detail: "The alert is right; nothing has to be done.", outcome: "no_action" },
  { key: "2", name: "False alarm", detail: "The alert is wrong.", outcome: "false_alarm" },
  { key: "3", name: "Helped", detail: "Somebody was helped or spoken to.", outcome: "assisted" },
  { key: "4", name: "Label", detail: "The content gets a label.", outcome: "restricted", fields: { decision_visibility: ["DECISION_VISIBILITY_CONTENT_LABELLED"] } },
  { key: "5", name: "Demote", detail: "Fewer people see the content.", outcome: "restricted", fields: { decision_visibility: ["DECISION_VISIBILITY_CONTENT_DEMOTED"] } },
  { key: "6", name: "Limit", detail: "Nobody can answer or share it.", outcome: "restricted", fields: { decision_visibility: ["DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED"] } },
  { key: "7", name: "Remove", detail: "The content is removed.", outcome: "restricted", fields: { decision_visibility: ["DECISION_VISIBILITY_CONTENT_REMOVED"] } },
  { key: "8", name: "Suspend the service", detail: "In part, for this person.", outcome: "restricted", fields: { decision_provision: "DECISION_PROVISION_PARTIAL_SUSPENSION" } },
  { key: "9", name: "Suspend the account", detail: "The person's account is suspended.", outcome: "restricted", fields: { decision_account: "DECISION_ACCOUNT_SUSPENDED" } },
];

export const GROUNDS = [["DECISION_GROUND_INCOMPATIBLE_CONTENT", "against our terms"], ["DECISION_GROUND_ILLEGAL_CONTENT", "against the law"]];

export const CATEGORIES = [
  "ANIMAL_WELFARE", "CONSUMER_INFORMATION", "CYBER_VIOLENCE", "CYBER_VIOLENCE_AGAINST_WOMEN", "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS", "ILLEGAL_OR_HARMFUL_SPEECH",
  "INTELLECTUAL_PROPERTY_INFRINGEMENTS", "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS", "OTHER_VIOLATION_TC", "PROTECTION_OF_MINORS", "RISK_FOR_PUBLIC_SECURITY",
  "SCAMS_AND_FRAUD", "SELF_HARM", "UNSAFE_AND_PROHIBITED_PRODUCTS", "VIOLENCE",
].map((name) => [`STATEMENT_CATEGORY_${name}`, name === "OTHER_VIOLATION_TC" ? "other violation of the terms" : name.toLowerCase().replaceAll("_", " ")]);

/** The choice that a decision was. */
export function choiceOf(decision) {
  const fits = ({ outcome, fields = {} }) => outcome === decision.outcome && Object.entries(fields).every(([name, value]) => String(decision[name] ?? "") === String(value));
  return CHOICES.find(fits) ?? { name: decision.outcome.replaceAll("_", " ") };
}

/** The body of a decision from the choice and the fields of the form. */
export function decisionFrom(choice, form, draft) {
  const decision = { outcome: choice.outcome, policy: form.get("policy").trim(), reason: form.get("reason").trim() };
  const facts = form.get("facts");
  if (facts !== null && facts !== draft) decision.decision_facts = facts;
  if (choice.outcome !== "restricted") return decision;
  Object.assign(decision, choice.fields, { decision_ground: form.get("ground"), category: form.get("category") });
  const link = form.get("link")?.trim();
  if (link) decision.decision_ground_reference_url = link;
  const countries = (form.get("scope") ?? "").toUpperCase().split(/[\s,]+/).filter(Boolean);
  if (countries.length) decision.territorial_scope = countries;
  const end = form.get("end");
  if (end) decision[endField(choice)] = end;
  return decision;
}

function endField({ fields }) {
  if (fields.decision_visibility) return "end_date_visibility_restriction";
  return fields.decision_account ? "end_date_account_restriction" : "end_date_service_restriction";
}
