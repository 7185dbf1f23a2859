package snippet

// Validator is that of the quickstart.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organictest.HookFuncs[string, string]
}
