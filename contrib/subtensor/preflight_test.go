package subtensor_test

import (
	"testing"
	"testing/synctest"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// refusal is what a check refuses, and how the chain is made to refuse it.
type refusal struct {
	name    string // of the chain
	kind    error
	vector  weights.Vector
	options []subtensor.ValidatorOption
	// change is done to a subnet of six neurons: before SetWeights for the preflight, and while the
	// extrinsic waits in the pool for the chain.
	change func(t *testing.T, node *subtensortest.Node)
	blocks uint64
	want   uint64
}

func storage(item string, value any, keys ...any) func(*testing.T, *subtensortest.Node) {
	return func(t *testing.T, node *subtensortest.Node) {
		t.Helper()
		require.NoError(t, node.Set("SubtensorModule."+item, value, keys...))
	}
}

var good = vectorOf(1, 65535, 4, 100)

// refusals are those that a change of the chain's state causes, in the order of the chain's checks.
func refusals() []refusal {
	return []refusal{
		{
			name: "SubnetNotExists", kind: weights.ErrSubnet,
			change: storage("NetworksAdded", false, netuid),
		},
		{
			name: "MechanismDoesNotExist", kind: weights.ErrSubnet,
			change: storage("MechanismCountCurrent", 0, netuid),
		},
		{
			name: "UidsLengthExceedUidsInSubNet", kind: weights.ErrVector,
			change: storage("SubnetworkN", 1, netuid),
		},
		{
			name: "HotKeyNotRegisteredInSubNet", kind: weights.ErrNotRegistered,
			change: func(t *testing.T, node *subtensortest.Node) {
				t.Helper()
				require.NoError(t, node.Remove("SubtensorModule.Uids", netuid,
					[32]byte(keypair(t, "//Alice").Hotkey())))
			},
		},
		{
			name: "NotEnoughStakeToSetWeights", kind: weights.ErrNoStake,
			change: storage("StakeThreshold", 1001),
		},
		{
			name: "IncorrectWeightVersionKey", kind: weights.ErrVersionKey, want: 6,
			options: []subtensor.ValidatorOption{subtensor.WithVersionKey(5)},
			change:  storage("WeightsVersionKey", 6, netuid),
		},
		{
			name: "SettingWeightsTooFast", kind: weights.ErrTooSoon, blocks: 49,
			change: storage("LastUpdate", []uint64{150}, netuid),
		},
		{
			name: "NeuronNoValidatorPermit", kind: weights.ErrNoPermit,
			change: storage("ValidatorPermit", []bool{false, true}, netuid),
		},
		{
			name: "UidVecContainInvalidOne", kind: weights.ErrVector,
			change: storage("SubnetworkN", 4, netuid),
		},
		{
			name: "WeightVecLengthIsLow", kind: weights.ErrVector,
			change: storage("MinAllowedWeights", 3, netuid),
		},
	}
}

func requireRefusal(t *testing.T, want refusal, err error) {
	t.Helper()
	require.ErrorIs(t, err, want.kind)
	var got *weights.ChainError
	require.ErrorAs(t, err, &got)
	require.Equal(t, want.name, got.Name)
	require.Equal(t, "SubtensorModule", got.Pallet)
	require.Equal(t, want.blocks, got.Blocks)
	require.Equal(t, want.want, got.Want)
}

func TestPreflightRefusesWhatTheChainWouldRefuse(t *testing.T) {
	t.Parallel()
	cases := append(refusals(),
		refusal{name: "DuplicateUids", kind: weights.ErrVector, vector: vectorOf(1, 5, 2, 5, 1, 6)},
		refusal{name: "WeightVecNotEqualSize", kind: weights.ErrVector, vector: weights.Vector{
			UIDs: good.UIDs, Weights: good.Weights[:1],
		}},
		refusal{
			name: "MechanismDoesNotExist", kind: weights.ErrSubnet,
			options: []subtensor.ValidatorOption{subtensor.WithMechanism(1)},
		},
	)
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				if tt.change != nil {
					tt.change(t, node)
				}
				if tt.vector.UIDs == nil {
					tt.vector = good
				}
				s := set(t.Context(), alice(t, client, tt.options...), tt.vector)
				submission, err := s.wait(t)
				requireRefusal(t, tt, err)
				require.Equal(t, weights.Submission{}, submission)
				require.Empty(t, s.reports)
				require.NotContains(t, node.Requests(), submitMethod)
			})
		})
	}
}

// What the preflight did not see, because it came later, the chain refuses by the same name.
func TestTheChainRefusesByTheSameNames(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				node.Hold(true)
				s := set(t.Context(), alice(t, client, tt.options...), good)
				synctest.Wait()
				require.Equal(t, 1, node.Pending())
				tt.change(t, node)
				node.Hold(false)
				require.NoError(t, node.Mine(1))
				submission, err := s.wait(t)
				if tt.name == "IncorrectWeightVersionKey" {
					tt.want = 0 // the chain does not say which one it wants
				}
				if tt.blocks > 0 {
					tt.blocks-- // the extrinsic took one
				}
				requireRefusal(t, tt, err)
				require.Equal(t, weights.Lost, submission.State)
				require.Equal(t, uint64(201), submission.Block)
				require.Contains(t, submission.Reason, tt.name)
				require.ErrorContains(t, err, "The chain refuses: "+tt.name)
				require.Len(t, s.reports, 2)
			})
		})
	}
}

func TestRootTakesNoWeights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		require.NoError(t, node.AddSubnet(0, subnetOf(t, 3)))
		v, err := dial(t, node).Validator(keypair(t, "//Alice"), 0)
		require.NoError(t, err)
		_, err = set(t.Context(), v, good).wait(t)
		requireRefusal(t, refusal{name: "CanNotSetRootNetworkWeights", kind: weights.ErrSubnet}, err)
	})
}

func TestASubnetThatIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		v := alice(t, client)
		_, err := set(t.Context(), v, good).wait(t)
		require.ErrorIs(t, err, weights.ErrSubnet)
		_, err = v.Position(t.Context())
		require.ErrorIs(t, err, weights.ErrSubnet)
		_, err = client.Metagraph(t.Context(), netuid)
		require.ErrorIs(t, err, subtensor.ErrNoSubnet)
		_, err = client.Hyperparameters(t.Context(), netuid)
		require.ErrorIs(t, err, subtensor.ErrNoSubnet)
		_, err = client.EpochSchedule(t.Context(), netuid)
		require.ErrorIs(t, err, subtensor.ErrNoSubnet)
	})
}

// The chain makes exceptions for the owner of a subnet and for those who set only their own weight.
func TestExceptionsOfTheChain(t *testing.T) {
	t.Parallel()
	owner := func(subnet *subtensortest.Subnet) {
		subnet.Owner = subnet.Neurons[0].Hotkey
		subnet.Neurons[0].Stake, subnet.Neurons[0].Permit = 0, false
	}
	for _, tt := range []struct {
		name   string
		subnet func(*subtensortest.Subnet)
		change func(*testing.T, *subtensortest.Node)
		vector weights.Vector
	}{
		{"the owner needs neither stake nor permit", owner, storage("StakeThreshold", 5000), good},
		{
			"the own weight alone needs neither permit nor a minimum",
			func(s *subtensortest.Subnet) {
				s.Neurons[0].Permit, s.MinAllowed = false,
					4
			}, nil, vectorOf(0, 65535),
		},
		{
			"a subnet smaller than the minimum needs all",
			func(s *subtensortest.Subnet) { s.MinAllowed = 50 }, nil, vectorOf(0, 1, 1, 65535, 2, 1, 3, 1,
				4, 1, 5, 1),
		},
		{
			"zero entries count",
			func(s *subtensortest.Subnet) { s.MinAllowed = 3 }, nil, vectorOf(1, 65535, 2, 0, 3, 0),
		},
		{
			"the limit has passed in the next block",
			func(s *subtensortest.Subnet) { s.Neurons[0].LastUpdate = 101 }, nil, good,
		},
		{
			"the version key is the chain's by default",
			func(s *subtensortest.Subnet) { s.VersionKey = 2010 }, nil, good,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			subnet := subnetOf(t, 5)
			tt.subnet(&subnet)
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnet)
				if tt.change != nil {
					tt.change(t, node)
				}
				s := set(t.Context(), alice(t, client), tt.vector)
				synctest.Wait()
				require.NoError(t, node.Mine(1))
				submission, err := s.wait(t)
				require.NoError(t, err)
				require.Equal(t, weights.Included, submission.State)
			})
		})
	}
}

func TestValidatorsAreChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		ed, err := keys.Generate(keys.Ed25519)
		require.NoError(t, err)
		for _, tt := range []struct {
			key     *keys.Keypair
			netuid  uint16
			options []subtensor.ValidatorOption
			want    []string
		}{
			{key: nil, want: []string{"key is empty"}},
			{key: &keys.Keypair{}, want: []string{"key is empty"}},
			{key: ed, want: []string{"key is of the scheme ed25519: must be sr25519"}},
			{key: keypair(t, "//Alice"), netuid: 4096, want: []string{"netuid is 4096: must be below 4096"}},
			{
				key: nil, netuid: 5000,
				options: []subtensor.ValidatorOption{
					subtensor.WithMechanism(16), subtensor.WithBeacon(nil),
					nil,
				},
				want: []string{
					"key is empty", "netuid is 5000", "WithMechanism is 16: must be below 16", "WithBeacon is nil",
					"ValidatorOption is nil",
				},
			},
		} {
			_, err := client.Validator(tt.key, tt.netuid, tt.options...)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		}
	})
}
