{{/* Name of the chart, or what takes its place. */}}
{{- define "media.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What every object's name begins with. At most 40 characters, so that every suffix fits into a label. */}}
{{- define "media.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "media.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's objects. Takes (dict "root" $ "component" "api"). */}}
{{- define "media.component" -}}
{{- printf "%s-%s" (include "media.fullname" .root) .component -}}
{{- end -}}

{{/* Name of a component's cluster-scoped objects: two releases of one name in two namespaces do not share them. */}}
{{- define "media.clusterName" -}}
{{- printf "%s.%s" .root.Release.Namespace (include "media.component" .) -}}
{{- end -}}

{{/* Whether the operator's rights outlive the assets: not where it goes with them. */}}
{{- define "media.heldRights" -}}
{{- ne (include "media.assetsNamespace" .) .Release.Namespace -}}
{{- end -}}

{{/* Namespace of assets, pools and worker Jobs. */}}
{{- define "media.assetsNamespace" -}}
{{- default .Release.Namespace .Values.assets.namespace -}}
{{- end -}}

{{/* Labels of an object. Takes (dict "root" $ "component" "api"). */}}
{{- define "media.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "media.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: media
{{- end -}}

{{/* The labels among them by which pods are found; they never change. Takes (dict "root" $ "component" "api"). */}}
{{- define "media.selectorLabels" -}}
app.kubernetes.io/name: {{ include "media.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* An image. Takes (dict "root" $ "image" .Values.image). */}}
{{- define "media.image" -}}
{{- $name := printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- if .image.registry }}{{ printf "%s/%s" .image.registry $name }}{{ else }}{{ $name }}{{ end -}}
{{- end -}}

{{/* Security context of every pod: the `restricted` Pod Security Standard. */}}
{{- define "media.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Security context of every container. */}}
{{- define "media.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the pods of a component are placed by. Takes (dict "root" $ "component" "api"). */}}
{{- define "media.placement" -}}
{{- $values := index .root.Values .component -}}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpread }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "media.selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}

{{/* Secrets of the image registry, where there are some. */}}
{{- define "media.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Whether something is embedded, which is to say: whether this is a trial. "true" or "". */}}
{{- define "media.trial" -}}
{{- if or .Values.postgresql.embedded.enabled .Values.s3.embedded.enabled }}true{{ end -}}
{{- end -}}

{{/* Secret with the URL of the database. */}}
{{- define "media.postgresqlSecret" -}}
{{- default (include "media.component" (dict "root" . "component" "postgresql")) .Values.postgresql.existingSecret -}}
{{- end -}}

{{/* Secret with the S3 credentials of API and operator. */}}
{{- define "media.s3Secret" -}}
{{- default (include "media.component" (dict "root" . "component" "s3")) .Values.s3.existingSecret -}}
{{- end -}}

{{/* Secret with the S3 credentials of the workers. */}}
{{- define "media.s3WorkerSecret" -}}
{{- default (include "media.s3Secret" .) .Values.s3.workerExistingSecret -}}
{{- end -}}

{{/* Bucket of the media. */}}
{{- define "media.s3Bucket" -}}
{{- .Values.s3.bucket | default (ternary "media" "" (eq (include "media.s3Embedded" .) "true")) -}}
{{- end -}}

{{/* S3 endpoint as the service reaches it; empty for AWS's own. */}}
{{- define "media.s3Endpoint" -}}
{{- if .Values.s3.endpoint -}}
{{- .Values.s3.endpoint -}}
{{- else if eq (include "media.s3Embedded" .) "true" -}}
http://{{ include "media.component" (dict "root" . "component" "s3") }}.{{ .Release.Namespace }}.svc:7070
{{- end -}}
{{- end -}}

{{/* Whether the S3 server of the chart is used. "true" or "". */}}
{{- define "media.s3Embedded" -}}
{{- if .Values.s3.embedded.enabled }}true{{ end -}}
{{- end -}}

{{/* Secret with the secret of HS256 tokens; empty where tokens are checked by public keys. */}}
{{- define "media.jwtSecret" -}}
{{- if .Values.api.jwt.existingSecret -}}
{{- .Values.api.jwt.existingSecret -}}
{{- else if not .Values.api.jwt.jwksUrl -}}
{{- include "media.component" (dict "root" . "component" "jwt") -}}
{{- end -}}
{{- end -}}

{{/* The one APIService of external metrics; a cluster has one. Empty where it is not this chart's. */}}
{{- define "media.apiService" -}}
{{- if eq (include "media.builtinMetrics" .) "true" }}v1beta1.external.metrics.k8s.io{{ end -}}
{{- end -}}

{{/* Whether this chart serves external metrics. "true" or "". */}}
{{- define "media.builtinMetrics" -}}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.metrics "builtin") }}true{{ end -}}
{{- end -}}

{{/* Whether the metrics server runs: for the cluster's autoscaler, or for KEDA to ask it. "true" or "". */}}
{{- define "media.metricsServer" -}}
{{- $keda := and .Values.autoscaling.enabled (eq .Values.autoscaling.metrics "keda") (eq .Values.autoscaling.keda.trigger "metrics-api") -}}
{{- if or $keda (eq (include "media.builtinMetrics" .) "true") }}true{{ end -}}
{{- end -}}

{{/* Whether the pool `video` is this chart's to make. "true" or "". */}}
{{- define "media.videoPool" -}}
{{- if and (eq .Values.video.backend "ffmpeg") .Values.video.pool.create }}true{{ end -}}
{{- end -}}

{{/* Environment: where the ledger is. */}}
{{- define "media.databaseEnv" -}}
- name: MEDIA_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "media.postgresqlSecret" . }}
      key: {{ .Values.postgresql.existingSecretKey }}
{{- end -}}

{{/* Environment: who transcodes videos. The role stays after a change of the backend, for the jobs that are there. */}}
{{- define "media.videoEnv" -}}
- name: MEDIA_VIDEO_BACKEND
  value: {{ .Values.video.backend | quote }}
- name: MEDIA_MAX_VIDEO_SECONDS
  value: {{ int64 .Values.video.maxSeconds | quote }}
- name: MEDIA_VIDEO_WORKER_IMAGE
  value: {{ include "media.image" (dict "root" . "image" .Values.videoWorkerImage) | quote }}
{{- with .Values.video.mediaconvert }}
{{- if .roleArn }}
- name: MEDIACONVERT_ROLE_ARN
  value: {{ .roleArn | quote }}
- name: MEDIACONVERT_QUEUE
  value: {{ .queue | quote }}
- name: MEDIA_VIDEO_POLL_SECONDS
  value: {{ int64 .pollSeconds | quote }}
{{- with .endpoint }}
- name: MEDIACONVERT_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment: where the media are. */}}
{{- define "media.storageEnv" -}}
- name: S3_BUCKET_MEDIA
  value: {{ include "media.s3Bucket" . | quote }}
- name: AWS_REGION
  value: {{ .Values.s3.region | quote }}
{{- with include "media.s3Endpoint" . }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "media.s3Secret" $ }}
      key: {{ $name }}
{{- end }}
{{- end -}}

{{/*
What is in the Secrets that are not this chart's, as a digest: a changed password rolls the pods at the next upgrade.
Settings that are not secret are in the pods' own template and roll them by themselves. Takes (list $ "name" ...).
*/}}
{{- define "media.secretsDigest" -}}
{{- $root := index . 0 -}}
{{- $found := list -}}
{{- range $name := rest . -}}
{{- if $name -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace $name -}}
{{- $found = append $found (dict "name" $name "data" (default dict (get $secret "data"))) -}}
{{- end -}}
{{- end -}}
{{- $found | toJson | sha256sum | trunc 16 -}}
{{- end -}}

{{/* Whether Helm 3 does this, which patches what it takes over by a comparison with nothing. "true" or "". */}}
{{- define "media.helm3" -}}
{{- if hasPrefix "v3." .Capabilities.HelmVersion.Version }}true{{ end -}}
{{- end -}}

{{/* Whether the cluster knows the kinds of the CRDs. "true" or "". */}}
{{- define "media.kindsKnown" -}}
{{- if .Capabilities.APIVersions.Has "media.docfliq.com/v1alpha1/MediaWorkerPool" }}true{{ end -}}
{{- end -}}

{{/* Refusals: what cannot work is said before anything is installed. */}}
{{- define "media.refusals" -}}
{{- if and (not .Values.postgresql.existingSecret) (not .Values.postgresql.embedded.enabled) -}}
{{- fail "The service needs PostgreSQL: set postgresql.existingSecret to a Secret whose key MEDIA_DATABASE_URL has its URL, or, to try things out, postgresql.embedded.enabled=true." -}}
{{- end -}}
{{- if and .Values.postgresql.existingSecret .Values.postgresql.embedded.enabled -}}
{{- fail "postgresql.existingSecret and postgresql.embedded.enabled are both set: only one of them can be the database." -}}
{{- end -}}
{{- if and (not .Values.s3.existingSecret) (not .Values.s3.embedded.enabled) -}}
{{- fail "The service needs S3: set s3.existingSecret to a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and s3.bucket, or, to try things out, s3.embedded.enabled=true." -}}
{{- end -}}
{{- if and .Values.s3.existingSecret .Values.s3.embedded.enabled -}}
{{- fail "s3.existingSecret and s3.embedded.enabled are both set: only one of them can hold the media." -}}
{{- end -}}
{{- if and .Values.s3.existingSecret (not .Values.s3.bucket) -}}
{{- fail "s3.existingSecret is set, but s3.bucket is not: name the bucket of the media." -}}
{{- end -}}
{{- if and .Values.api.jwt.existingSecret .Values.api.jwt.jwksUrl -}}
{{- fail "api.jwt.existingSecret and api.jwt.jwksUrl are both set: tokens are checked by one of them." -}}
{{- end -}}
{{- if and (not .Values.api.jwt.existingSecret) (not .Values.api.jwt.jwksUrl) (ne (include "media.trial" .) "true") -}}
{{- fail "Nobody could be told apart: set api.jwt.existingSecret to a Secret with MEDIA_JWT_SECRET, or api.jwt.jwksUrl to where the public keys of your tokens are." -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is more than autoscaling.maxReplicas (%d)." (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (eq .Values.autoscaling.metrics "keda") (eq .Values.autoscaling.keda.trigger "prometheus") (not .Values.autoscaling.keda.prometheusAddress) -}}
{{- fail "autoscaling.keda.trigger is prometheus, but autoscaling.keda.prometheusAddress is not set: say where KEDA reaches Prometheus, such as http://prometheus.monitoring:9090." -}}
{{- end -}}
{{- if and (eq .Values.video.backend "mediaconvert") (not .Values.video.mediaconvert.roleArn) -}}
{{- fail "video.backend is mediaconvert, but video.mediaconvert.roleArn is not set: name the role by which MediaConvert reads originals and writes what it makes of them, such as arn:aws:iam::123456789012:role/media-mediaconvert." -}}
{{- end -}}
{{- if and (eq .Values.video.backend "mediaconvert") .Values.s3.embedded.enabled (not .Values.video.mediaconvert.endpoint) -}}
{{- fail "video.backend is mediaconvert and s3.embedded.enabled is true: MediaConvert reads from AWS's own S3 only. Use video.backend=ffmpeg, or a bucket of yours (s3.existingSecret)." -}}
{{- end -}}
{{- $videoBounds := .Values.video.autoscaling -}}
{{- if and .Values.autoscaling.enabled (gt (int $videoBounds.minReplicas) (int $videoBounds.maxReplicas)) -}}
{{- fail (printf "video.autoscaling.minReplicas (%d) is more than video.autoscaling.maxReplicas (%d)." (int $videoBounds.minReplicas) (int $videoBounds.maxReplicas)) -}}
{{- end -}}
{{- if and (or .Values.pool.create (eq (include "media.videoPool" .) "true")) (eq (include "media.helm3" .) "true") (ne (include "media.kindsKnown" .) "true") (lookup "v1" "Namespace" "" "kube-system") -}}
{{- fail "With Helm 3 the CRDs have to be there before the release: `kubectl apply --server-side -f files/crds` in the chart's folder, then install with crds.enabled=false. Helm 4 needs neither." -}}
{{- end -}}
{{- if eq (include "media.builtinMetrics" .) "true" -}}
{{- $name := include "media.apiService" . -}}
{{- $found := lookup "apiregistration.k8s.io/v1" "APIService" "" $name -}}
{{- if $found -}}
{{- $annotations := default dict (dig "metadata" "annotations" dict $found) -}}
{{- $release := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if or (ne $release .Release.Name) (ne $namespace .Release.Namespace) -}}
{{- $owner := printf "the Service %s/%s" (dig "spec" "service" "namespace" "?" $found) (dig "spec" "service" "name" "?" $found) -}}
{{- if $release }}{{ $owner = printf "the Helm release %s in namespace %s" $release $namespace }}{{ end -}}
{{- fail (printf "autoscaling.metrics=builtin is not possible: the APIService %s of this cluster belongs to %s already, and a cluster has one. Use autoscaling.metrics=keda, prometheus or none." $name $owner) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
