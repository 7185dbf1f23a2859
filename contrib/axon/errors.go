package axon

import "errors"

var (
	// ErrInvalidOption is in every error for an option or an argument that cannot
	// be right, of [New], of routes, of [Sign], and of [Dendrite.NewRequest].
	ErrInvalidOption = errors.New("axon: invalid option")

	// ErrAttached says that a route has its scorer already.
	ErrAttached = errors.New("axon: route is attached already")

	// ErrRouteTaken says that the server has a route with this path.
	ErrRouteTaken = errors.New("axon: path has a route already")

	// ErrUnhashedRoute says that a class has no hashed fields, so that the
	// signature would cover no body: see [WithUnhashedBody].
	ErrUnhashedRoute = errors.New("axon: class has no hashed fields")
)
