# Generalized estimating equations of geepack.

# The rows come sorted by cluster and time: geeglm takes neighbours of one id for a cluster.
fit_geepack <- function(arguments) {
  need("geepack")
  options <- list(family = model_family(arguments), id = quote(.fn_clusters), corstr = arguments$corr,
                  std.err = "san.se", control = geepack::geese.control(epsilon = 1e-12, maxit = 500))
  if (arguments$corr == "ar1") options$waves <- quote(.fn_times)
  if (arguments$corr == "unstructured") options <- utils::modifyList(options, pairs_of_times(arguments))
  model <- run(quote(geepack::geeglm), arguments, options)
  if (!identical(as.integer(model$geese$error), 0L)) warning("geese() stopped with an error code", call. = FALSE)
  beta <- stats::coef(model)
  kept <- names(beta)[!is.na(beta)]
  alpha <- model$geese$alpha
  covariance <- unname(as.matrix(model$geese$vbeta))
  if (arguments$power > 0) covariance <- corrected(model, arguments)
  list(
    names = named(beta), beta = as.double(beta), kept = kept, covariance = covariance,
    matrix = unname(stats::model.matrix(model)), columns = as.character(colnames(stats::model.matrix(model))),
    loglik = NaN, n_parameters = as.double(length(kept)), deviance = NaN,
    df_resid = as.double(length(unique(arguments$clusters)) - length(kept)), sigma = sqrt(as.double(model$geese$gamma)),
    eta = as.double(model$linear.predictors), converged = TRUE, iterations = 0,
    alpha = as.double(alpha), alpha_names = named(alpha)
  )
}

# geepack 1.3 ends R where waves are missing from clusters of an unstructured correlation; the same correlation by the
# columns of its pairs does not.
pairs_of_times <- function(arguments) {
  sizes <- rle(arguments$clusters)$lengths
  if (max(sizes) == 1) return(list(corstr = "independence"))
  pairs <- geepack::genZcor(sizes, arguments$times, 4)
  seen <- colSums(pairs) > 0
  list(corstr = "userdefined", zcor = matrix(pairs[, seen], nrow(pairs), dimnames = list(NULL, colnames(pairs)[seen])))
}

# Mancl and DeRouen's (power 1) and Kauermann and Carroll's (1/2) covariance at geepack's estimates, by their definitions:
# B^-1 sum D'V^-1 (I - H)^-c e e' (I - H')^-c V^-1 D B^-1, H = D B^-1 D'V^-1, each matrix in full.
corrected <- function(model, arguments) {
  X <- stats::model.matrix(model)
  family <- stats::family(model)
  mu <- as.double(stats::fitted(model))
  D <- X * family$mu.eta(as.double(model$linear.predictors))
  sd <- sqrt(family$variance(mu) / arguments$prior)
  e <- arguments$shares - mu
  parts <- lapply(split(seq_along(mu), arguments$clusters), function(rows) {
    R <- correlation_among(rows, model$geese$alpha, arguments)
    list(D = D[rows, , drop = FALSE], inverse = solve(R * tcrossprod(sd[rows])), e = e[rows])
  })
  B <- solve(Reduce(`+`, lapply(parts, function(g) t(g$D) %*% g$inverse %*% g$D)))
  scores <- vapply(parts, function(g) {
    H <- g$D %*% B %*% t(g$D) %*% g$inverse
    drop(t(g$D) %*% g$inverse %*% to_power(diag(nrow(H)) - H, -arguments$power) %*% g$e)
  }, numeric(ncol(D)))
  unname(B %*% tcrossprod(matrix(scores, ncol(D))) %*% B)
}

correlation_among <- function(rows, alpha, arguments) {
  n <- length(rows)
  times <- if (is.null(arguments$times)) seq_len(n) else arguments$times[rows]
  if (n == 1 || !length(alpha)) return(diag(n))
  if (arguments$corr == "exchangeable") return(diag(1 - alpha, n) + alpha)
  if (arguments$corr == "ar1") return(alpha^abs(outer(times, times, `-`)))
  names(alpha) <- sub("^alpha[.]", "", names(alpha))
  entry <- function(i, j) ifelse(i == j, 1, alpha[paste0(pmin(i, j), ":", pmax(i, j))])
  outer(times, times, entry)
}

# A power of a matrix that is similar to a symmetric positive definite one.
to_power <- function(M, power) {
  parts <- eigen(M)
  Re(parts$vectors %*% (parts$values^power * solve(parts$vectors)))
}
