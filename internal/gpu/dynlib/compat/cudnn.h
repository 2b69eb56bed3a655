// Stands before NVIDIA's cudnn.h, so that gorgonia.org/cu/dnn v0.9.6, written for cuDNN 8, compiles unmodified against
// cuDNN 9. What cuDNN 9 took away (algorithm descriptors, persistent RNN plans, an RNN setter) exists here as functions
// that refuse: this program calls none of them.
#ifndef ALEXNET_COMPAT_CUDNN_H
#define ALEXNET_COMPAT_CUDNN_H
#include_next <cudnn.h>

#if CUDNN_MAJOR >= 9

// dnn/algorithm.c fills the union's members by name.
typedef struct {
	union {
		cudnnConvolutionFwdAlgo_t convFwdAlgo;
		cudnnConvolutionBwdFilterAlgo_t convBwdFilterAlgo;
		cudnnConvolutionBwdDataAlgo_t convBwdDataAlgo;
		cudnnRNNAlgo_t RNNAlgo;
		cudnnCTCLossAlgo_t CTCLossAlgo;
	} algo;
} cudnnAlgorithm_t;
typedef struct alexnet_algorithm *cudnnAlgorithmDescriptor_t;
typedef struct alexnet_performance *cudnnAlgorithmPerformance_t;
typedef struct alexnet_plan *cudnnPersistentRNNPlan_t;

#define GONE static inline __attribute__((unused)) cudnnStatus_t
#define REFUSE { return CUDNN_STATUS_NOT_SUPPORTED; }
GONE cudnnCreateAlgorithmDescriptor(cudnnAlgorithmDescriptor_t *made) REFUSE
GONE cudnnSetAlgorithmDescriptor(cudnnAlgorithmDescriptor_t to, cudnnAlgorithm_t algorithm) REFUSE
GONE cudnnDestroyAlgorithmDescriptor(cudnnAlgorithmDescriptor_t old) REFUSE
GONE cudnnCreateAlgorithmPerformance(cudnnAlgorithmPerformance_t *made, int n) REFUSE
GONE cudnnSetAlgorithmPerformance(cudnnAlgorithmPerformance_t to, cudnnAlgorithmDescriptor_t of, cudnnStatus_t status,
	float ms, size_t bytes) REFUSE
GONE cudnnDestroyAlgorithmPerformance(cudnnAlgorithmPerformance_t *old, int n) REFUSE
GONE cudnnCreatePersistentRNNPlan(cudnnRNNDescriptor_t rnn, int batch, cudnnDataType_t type,
	cudnnPersistentRNNPlan_t *made) REFUSE
GONE cudnnSetPersistentRNNPlan(cudnnRNNDescriptor_t rnn, cudnnPersistentRNNPlan_t plan) REFUSE
GONE cudnnDestroyPersistentRNNPlan(cudnnPersistentRNNPlan_t old) REFUSE
GONE cudnnSetRNNMatrixMathType(cudnnRNNDescriptor_t rnn, cudnnMathType_t math) REFUSE
#undef GONE
#undef REFUSE

// dnn.result makes NotSupported of every status above this one, the last of cuDNN 8. In cuDNN 9 that is 1007, and bad
// parameters, internal errors and failed executions come after it (2000 to 5999): above them all, it lets them through.
#define CUDNN_STATUS_RUNTIME_FP_OVERFLOW 9999

#endif
#endif
