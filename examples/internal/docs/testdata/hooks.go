package snippet

func (v *Validator) QueryMiners(
	context.Context, organic.Sample[Prompt],
) (map[organic.UID]string, error) {
	return nil, nil
}

func (v *Validator) GenerateRewards(
	context.Context, organic.Sample[Prompt], map[organic.UID]string, string,
) (organic.Rewards, error) {
	return nil, nil
}

func (v *Validator) SetWeights(
	context.Context, organic.Sample[Prompt], organic.Rewards,
) error {
	return nil
}
